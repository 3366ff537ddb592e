"""Checkpoints as they are published (config.json, tokenizer, safetensors) for the engine, which takes GGUF files.

llama.cpp's own converter does the work, in a process of its own; its results are kept in the user's cache.

    resolve.py       what the user names -> the GGUF file to load
    hub.py           a name on the hub -> a folder
    checkpoint.py    a folder: which files count, whether they are sound, what they hold
    cache.py         what was converted already; room for what is being converted
    disk_space.py    whether what is about to be written has room
    convert.py       a folder -> a GGUF file in the cache
    gguf_file.py     whether a GGUF file is one, and whole
    converter.py     llama.cpp's converter: where it is, how it is run
    precision.py     the types of weights, and the room they take
    child.py         a process that writes a file, watched
    progress.py      how far it is
"""
