# qwen-infer in a container; README.md shows its use.
#   docker build -t qwen-infer .
# Untested with Docker. Tried in bare Debian 12 roots: the packages of both stages and fetching llama.cpp in the first; in the
# second, the program from a build of another machine, as the user qwen. Untried: compiling in the first.
FROM debian:12-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates g++ libedit-dev libhwy-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# "all": a CPU module for each generation of processors, as the image may run on another machine.
RUN scripts/make_venv.sh build \
    && QWEN_INFER_CPU=all scripts/build.sh release \
    && .venv/bin/cmake --install build --component program --strip --prefix /opt/qwen-infer

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libedit2 libgomp1 libhwy1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 qwen
COPY --from=build /opt/qwen-infer /usr/local
USER qwen
WORKDIR /models
EXPOSE 8080
ENTRYPOINT ["qwen-infer"]
CMD ["--help"]
