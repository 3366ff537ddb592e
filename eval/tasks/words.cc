#include "eval/tasks/words.h"

#include <array>
#include <set>

namespace qwen_infer::tasks {

namespace {

// clang-format off
constexpr std::array<std::string_view, 475> kAdjectives = {
    "able", "absent", "active", "actual", "adult", "afraid", "agile", "alert", "alive", "alone", "amber", "ample",
    "ancient", "angry", "annual", "arctic", "armed", "ashamed", "asleep", "atomic", "average", "awake", "aware",
    "awful", "bald", "bare", "basic", "beige", "big", "bitter", "black", "blank", "bleak", "blind", "blond", "blue",
    "blunt", "bold", "bored", "brave", "brief", "bright", "brilliant", "brisk", "broad", "broken", "bronze",
    "brown", "busy", "calm", "candid", "careful", "careless", "casual", "cautious", "central", "certain", "cheap",
    "cheerful", "chilly", "civil", "classic", "clean", "clear", "clever", "cloudy", "clumsy", "coarse", "cold",
    "colossal", "common", "compact", "complete", "complex", "content", "cool", "coral", "correct", "cosmic",
    "costly", "cosy", "crazy", "creamy", "crimson", "crisp", "crooked", "crowded", "crude", "cruel", "crunchy",
    "curious", "curly", "current", "curved", "daily", "damp", "daring", "dark", "dear", "decent", "deep",
    "delicate", "dense", "dim", "direct", "dirty", "distant", "divine", "dizzy", "double", "drab", "dramatic",
    "dreary", "dry", "dull", "dusty", "eager", "early", "earnest", "eastern", "easy", "elastic", "elderly",
    "elegant", "eligible", "empty", "endless", "enormous", "entire", "equal", "essential", "eternal", "exact",
    "exotic", "expert", "extra", "faint", "fair", "faithful", "false", "familiar", "famous", "fancy", "fast",
    "fatal", "feeble", "fertile", "fierce", "final", "firm", "flaky", "flat", "flawless", "fluffy", "fluid", "fond",
    "foolish", "foreign", "formal", "fragile", "frail", "frank", "free", "frequent", "fresh", "friendly", "frosty",
    "frozen", "full", "funny", "furry", "fuzzy", "gentle", "genuine", "giant", "gifted", "gigantic", "glad",
    "gleaming", "global", "gloomy", "glossy", "golden", "good", "graceful", "grand", "grateful", "grave", "greasy",
    "great", "greedy", "green", "grey", "grim", "grumpy", "guilty", "handy", "happy", "hard", "harmless", "harsh",
    "hasty", "healthy", "hearty", "heavy", "helpful", "hidden", "high", "hollow", "holy", "honest", "hopeful",
    "hot", "huge", "humble", "hungry", "icy", "ideal", "idle", "immense", "important", "indigo", "inner",
    "innocent", "intense", "ivory", "jolly", "joyful", "juicy", "junior", "keen", "kind", "large", "lasting",
    "late", "lavender", "lawful", "lazy", "lean", "legal", "level", "light", "likely", "limp", "linear", "lively",
    "local", "lofty", "lonely", "long", "loose", "lost", "loud", "lovely", "loyal", "lucky", "lunar", "magenta",
    "magic", "main", "major", "maroon", "massive", "mature", "mellow", "merry", "mighty", "mild", "minor", "misty",
    "mobile", "modern", "modest", "moist", "moral", "muddy", "mute", "narrow", "nasty", "native", "neat", "nervous",
    "neutral", "nimble", "noble", "noisy", "normal", "northern", "novel", "numb", "obvious", "odd", "official",
    "old", "olive", "open", "orange", "ordinary", "ornate", "outer", "oval", "painful", "pale", "patient",
    "peaceful", "perfect", "pink", "plain", "playful", "pleasant", "plump", "polite", "poor", "popular", "precious",
    "pretty", "prime", "private", "proper", "proud", "public", "pure", "purple", "quaint", "quick", "quiet",
    "random", "rapid", "rare", "raw", "ready", "real", "recent", "red", "regal", "regular", "relaxed", "remote",
    "rich", "rigid", "ripe", "robust", "rocky", "rosy", "rotten", "rough", "round", "royal", "rude", "rugged",
    "rural", "rusty", "sacred", "safe", "salty", "sandy", "scarlet", "secret", "senior", "serious", "severe",
    "shallow", "sharp", "shiny", "short", "shy", "silent", "silly", "silver", "simple", "sincere", "single",
    "sleepy", "slender", "slim", "slippery", "slow", "small", "smart", "smooth", "snowy", "sober", "social", "soft",
    "solar", "solemn", "solid", "sore", "sour", "southern", "spare", "sparse", "special", "spicy", "spiky",
    "square", "stable", "stale", "steady", "steep", "sticky", "stiff", "still", "stormy", "straight", "strange",
    "strict", "strong", "stubborn", "sturdy", "subtle", "sudden", "sunny", "superb", "sweet", "swift", "tall",
    "tame", "tasty", "teal", "tender", "tense", "thick", "thin", "thirsty", "tidy", "timid", "tiny", "tired",
    "total", "tough", "tragic", "tranquil", "tricky", "tropical", "true", "turquoise", "typical", "ugly", "unique",
    "upper", "urban", "urgent", "useful", "usual", "vague", "vain", "valid", "vast", "velvet", "verbal", "violet",
    "vital", "vivid", "warm", "wary", "wasteful", "watery", "weak", "wealthy", "weary", "western", "wet", "wicked",
    "wide", "wild", "wise", "witty", "wonderful", "wooden", "woolly", "worthy", "yellow", "young", "zealous"};

constexpr std::array<std::string_view, 824> kNouns = {
    "abbey", "accent", "account", "acid", "acorn", "acre", "actor", "agency", "airport", "album", "alley", "almond",
    "alphabet", "anchor", "angel", "angle", "ankle", "answer", "antler", "apple", "apricot", "apron", "arch",
    "arena", "armchair", "arrow", "artist", "ash", "athlete", "attic", "aunt", "author", "autumn", "avenue", "axe",
    "baby", "badge", "bag", "bakery", "balcony", "ball", "balloon", "bamboo", "banana", "banjo", "bank", "banner",
    "barn", "barrel", "basin", "basket", "bathtub", "battery", "beach", "beacon", "bead", "beaver", "bed", "bee",
    "beetle", "bell", "belt", "bench", "berry", "bicycle", "birch", "bird", "biscuit", "blanket", "blossom", "boat",
    "bone", "bonnet", "book", "boot", "border", "bottle", "boulder", "bouquet", "bowl", "box", "bracelet", "branch",
    "bread", "brick", "bridge", "brother", "brush", "bubble", "bucket", "buffalo", "bug", "building", "bulb",
    "bullet", "bus", "bush", "butcher", "butter", "button", "cabbage", "cabin", "cable", "cactus", "cage", "cake",
    "calendar", "camel", "camera", "camp", "canal", "canary", "candle", "candy", "cannon", "canoe", "canvas",
    "canyon", "cap", "captain", "car", "caravan", "card", "carpet", "carriage", "carrot", "cart", "castle", "cat",
    "cathedral", "cave", "ceiling", "celery", "cellar", "cello", "chain", "chair", "chalk", "chapel", "chapter",
    "cheek", "cheese", "cherry", "chest", "chestnut", "chicken", "chimney", "chin", "chip", "chocolate", "choir",
    "church", "cider", "circle", "circus", "citizen", "city", "clay", "cliff", "clock", "closet", "cloth", "cloud",
    "clover", "clown", "coach", "coast", "coat", "cobweb", "coconut", "coffee", "coin", "collar", "college",
    "colony", "column", "comb", "comet", "compass", "computer", "concert", "cone", "convoy", "cookie", "copper",
    "cork", "corn", "corner", "cottage", "cotton", "couch", "cousin", "cow", "crab", "cradle", "crane", "crate",
    "crayon", "creek", "cricket", "crocodile", "crown", "crumb", "crystal", "cube", "cucumber", "cup", "cupboard",
    "curtain", "cushion", "customer", "cyclone", "daisy", "dam", "dancer", "daughter", "deck", "deer", "dentist",
    "desert", "desk", "diamond", "diary", "dictionary", "dinner", "dinosaur", "diploma", "ditch", "doctor", "dog",
    "doll", "dollar", "dolphin", "donkey", "door", "dove", "dragon", "drawer", "drill", "driver", "drum", "duck",
    "dungeon", "dust", "eagle", "ear", "earring", "earth", "echo", "editor", "eel", "egg", "elbow", "elephant",
    "elevator", "elm", "emerald", "engine", "envelope", "estate", "evening", "eyebrow", "fabric", "factory",
    "falcon", "farm", "farmer", "fence", "fern", "ferry", "festival", "fiddle", "field", "fig", "finger", "fire",
    "fireplace", "fish", "flag", "flame", "flask", "flea", "flock", "flood", "floor", "flour", "flower", "flute",
    "foam", "fog", "forest", "fork", "fort", "fossil", "fountain", "fox", "frame", "freckle", "friend", "frog",
    "fruit", "funnel", "galaxy", "gallery", "garage", "garden", "garlic", "garment", "gate", "gem", "geyser",
    "giraffe", "glacier", "glass", "glove", "goat", "goose", "gorilla", "grain", "granite", "grape", "grass",
    "gravel", "guest", "guide", "guitar", "gull", "hall", "hammer", "hamster", "harbor", "harp", "harvest", "hat",
    "hawk", "hay", "hazel", "heart", "hedge", "heel", "helmet", "hen", "herb", "herd", "hermit", "heron", "highway",
    "hill", "hinge", "hippo", "hoe", "honey", "hood", "hoof", "hook", "horizon", "horn", "horse", "hospital",
    "hotel", "hour", "house", "hunter", "hurricane", "igloo", "infant", "ink", "insect", "island", "ivy", "jacket",
    "jaguar", "jail", "jar", "jaw", "jeans", "jelly", "jewel", "journal", "judge", "jug", "juice", "jungle", "jury",
    "kangaroo", "kayak", "kettle", "key", "kingdom", "kitchen", "kite", "kitten", "knee", "knife", "knight", "knot",
    "label", "lace", "ladder", "lagoon", "lake", "lamb", "lamp", "lantern", "laptop", "lasso", "lawn", "lawyer",
    "leaf", "leather", "lemon", "leopard", "letter", "lettuce", "library", "lighthouse", "lily", "lime", "lion",
    "lip", "lizard", "lobster", "lock", "locket", "log", "lotus", "lumber", "lung", "machine", "magnet", "maiden",
    "mailbox", "mango", "mansion", "maple", "marble", "market", "mask", "mast", "mattress", "meadow", "medal",
    "melon", "meteor", "midnight", "milk", "mill", "miner", "mirror", "mitten", "moat", "monastery", "money",
    "monkey", "monster", "month", "moon", "morning", "mosaic", "mosquito", "moss", "moth", "motor", "mountain",
    "mouse", "mud", "muffin", "mug", "mule", "museum", "mushroom", "musician", "mustard", "nail", "napkin", "neck",
    "necklace", "needle", "neighbor", "nephew", "nest", "newspaper", "nickel", "night", "nose", "notebook",
    "number", "nurse", "nut", "oak", "oasis", "oat", "ocean", "octopus", "office", "onion", "opera", "orchard",
    "orchestra", "orchid", "otter", "oven", "owl", "ox", "oyster", "paddle", "page", "pail", "paint", "palace",
    "palm", "pan", "panda", "pants", "paper", "parade", "parcel", "park", "parrot", "passport", "pasta", "path",
    "peach", "peacock", "peanut", "pear", "pearl", "pebble", "pelican", "pen", "pencil", "penguin", "pepper",
    "perfume", "piano", "picnic", "picture", "pie", "pig", "pigeon", "pillow", "pilot", "pin", "pine", "pipe",
    "pirate", "pistol", "pizza", "planet", "plate", "platform", "plum", "pocket", "poem", "poet", "pole", "pond",
    "pony", "pool", "poppy", "porch", "porcupine", "port", "potato", "potter", "powder", "prairie", "prince",
    "princess", "printer", "prison", "prize", "puddle", "pumpkin", "puppet", "puppy", "purse", "puzzle", "pyramid",
    "quail", "quarry", "queen", "quilt", "rabbit", "raccoon", "radio", "radish", "raft", "rail", "rain", "rainbow",
    "raisin", "rake", "ranch", "rattle", "raven", "razor", "recipe", "reef", "reindeer", "restaurant", "rhinoceros",
    "ribbon", "rice", "ring", "river", "road", "robin", "robot", "rocket", "roof", "room", "rooster", "root",
    "rope", "rose", "rubber", "ruby", "rug", "ruler", "saddle", "sail", "sailor", "salad", "salmon", "sand",
    "sandal", "sandwich", "sapphire", "satellite", "saucer", "sausage", "saw", "scarf", "school", "scissors",
    "scooter", "scorpion", "sculptor", "sea", "seal", "seed", "shark", "sheep", "shelf", "shell", "shepherd",
    "shield", "ship", "shirt", "shoe", "shop", "shore", "shovel", "shower", "shrimp", "sister", "skeleton", "skirt",
    "skull", "sky", "sled", "slipper", "smoke", "snail", "snake", "sock", "sofa", "soil", "soldier", "son", "soup",
    "spade", "spark", "sparrow", "spear", "spider", "spinach", "spoon", "spring", "spruce", "squirrel", "stadium",
    "staircase", "stamp", "star", "statue", "steam", "steeple", "stem", "stew", "stone", "stool", "stove",
    "stranger", "straw", "stream", "street", "string", "student", "studio", "subway", "sugar", "suitcase", "sultan",
    "summer", "sunflower", "sunset", "surgeon", "swamp", "swan", "sweater", "sword", "symphony", "syrup", "table",
    "tablet", "tadpole", "tailor", "tale", "tambourine", "tank", "teacher", "teapot", "teenager", "telescope",
    "temple", "tent", "theater", "thief", "thimble", "thistle", "thorn", "thread", "throne", "thumb", "thunder",
    "ticket", "tiger", "tile", "timber", "toad", "toast", "tomato", "tongue", "tooth", "torch", "tornado",
    "tortoise", "towel", "tower", "town", "toy", "tractor", "train", "tray", "treasure", "tree", "trombone",
    "trophy", "trout", "truck", "trumpet", "tulip", "tunnel", "turkey", "turtle", "twig", "umbrella", "uncle",
    "unicorn", "universe", "valley", "van", "vase", "vault", "vegetable", "vehicle", "veil", "vessel", "village",
    "vine", "vineyard", "violin", "volcano", "vulture", "wagon", "waiter", "wall", "wallet", "walnut", "walrus",
    "warehouse", "wasp", "waterfall", "wax", "weasel", "wedding", "well", "whale", "wheat", "wheel", "whistle",
    "widow", "willow", "window", "wing", "winter", "wizard", "wolf", "woman", "wool", "workshop", "worm", "wreath",
    "wrist", "yacht", "yard", "yarn", "year", "yogurt", "zebra", "zipper", "zoo"};

constexpr std::array<std::string_view, 314> kVerbs = {
    "accept", "achieve", "admire", "admit", "advise", "agree", "allow", "announce", "apologize", "appear",
    "applaud", "approve", "argue", "arrange", "arrive", "ask", "attach", "attack", "attend", "avoid", "bake",
    "balance", "bathe", "beg", "begin", "behave", "believe", "belong", "blink", "blush", "boil", "borrow", "bounce",
    "bow", "breathe", "bring", "build", "bury", "buy", "call", "carry", "carve", "catch", "celebrate", "choose",
    "chop", "climb", "collect", "combine", "compare", "complain", "confess", "connect", "consider", "cook", "cough",
    "count", "crawl", "create", "cry", "cut", "dance", "decide", "decorate", "deliver", "describe", "destroy",
    "dig", "disappear", "discover", "divide", "drag", "draw", "dream", "dress", "drink", "drop", "earn", "eat",
    "educate", "encourage", "enjoy", "enter", "escape", "examine", "exist", "expand", "expect", "explain",
    "explore", "fail", "fall", "feed", "feel", "fetch", "fight", "fill", "find", "fix", "float", "flow", "fold",
    "follow", "forgive", "gather", "give", "glow", "grab", "greet", "grind", "grow", "guard", "guess", "hang",
    "happen", "heal", "hear", "help", "hesitate", "hide", "hit", "hug", "hunt", "hurry", "imagine", "improve",
    "include", "inform", "inject", "insist", "invent", "invite", "jog", "join", "jump", "kick", "kneel", "knit",
    "know", "laugh", "launch", "lead", "learn", "leave", "lend", "lick", "lift", "listen", "live", "load", "look",
    "love", "manage", "marry", "measure", "melt", "mend", "mix", "move", "multiply", "nod", "notice", "obey",
    "observe", "obtain", "offer", "owe", "pack", "pass", "pause", "pay", "peel", "perform", "permit", "persuade",
    "pick", "plan", "play", "point", "pour", "practice", "praise", "pray", "prefer", "prepare", "pretend",
    "prevent", "print", "produce", "promise", "protect", "prove", "pull", "punish", "push", "reach", "read",
    "realize", "receive", "recognize", "reduce", "refuse", "remember", "remove", "repair", "repeat", "replace",
    "reply", "rescue", "rest", "return", "ride", "rinse", "rise", "roll", "run", "scatter", "scream", "scrub",
    "search", "sell", "send", "settle", "sew", "shave", "shine", "shiver", "shout", "show", "shrink", "shut",
    "sigh", "sing", "sit", "skate", "sleep", "slide", "smell", "smile", "sneeze", "soak", "speak", "spell", "spend",
    "spin", "spread", "squeeze", "stand", "stare", "start", "steal", "stir", "stop", "store", "stretch", "study",
    "succeed", "suffer", "suggest", "surround", "survive", "swallow", "swim", "swing", "take", "talk", "taste",
    "teach", "tear", "tease", "tell", "think", "throw", "tickle", "tie", "touch", "trace", "trade", "travel",
    "treat", "tremble", "trip", "trust", "try", "twist", "understand", "unite", "vanish", "visit", "wait", "wake",
    "walk", "wander", "want", "warn", "wash", "watch", "wave", "wear", "weave", "weep", "weigh", "whisper", "win",
    "wipe", "wish", "wonder", "work", "worry", "wrap", "wrestle", "write", "yawn", "yell"};
// clang-format on

static_assert(kAdjectives.size() * kNouns.size() > 2 * kMostDistinctWords, "pairs are drawn until they are different");

}  // namespace

std::span<const std::string_view> Adjectives() { return kAdjectives; }
std::span<const std::string_view> Nouns() { return kNouns; }
std::span<const std::string_view> Verbs() { return kVerbs; }

std::string RandomPair(eval::Random& random) {
  const std::string_view adjective = kAdjectives[random.Below(kAdjectives.size())];
  return std::string(adjective).append("-").append(kNouns[random.Below(kNouns.size())]);
}

std::vector<std::string> DistinctWords(size_t count, eval::Random& random) {
  if (count <= kAdjectives.size() + kNouns.size() + kVerbs.size()) {
    std::vector<std::string> words(kAdjectives.begin(), kAdjectives.end());
    words.insert(words.end(), kNouns.begin(), kNouns.end());
    words.insert(words.end(), kVerbs.begin(), kVerbs.end());
    return random.Sample(std::move(words), count);
  }
  std::set<std::string> seen;
  std::vector<std::string> pairs;
  while (pairs.size() < count) {
    std::string pair = RandomPair(random);
    if (seen.insert(pair).second) pairs.push_back(std::move(pair));
  }
  return pairs;
}

}  // namespace qwen_infer::tasks
