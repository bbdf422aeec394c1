// The table itself, and the parser of its texts. No allocation, no locale.
#include "settings/knobs.h"

#include <unistd.h>

#include <cstring>

#include "base/bits.h"
#include "base/fatal.h"
#include "os/memory.h"

extern "C" char** environ;

namespace hz3 {
namespace {

constexpr std::int64_t kKi = 1024;
constexpr std::int64_t kMi = 1024 * kKi;
constexpr std::int64_t kGi = 1024 * kMi;
constexpr std::int64_t kTi = 1024 * kGi;

constexpr hz3_knob_info kTable[] = {
    {"arena_bytes", "HZ3_ARENA_BYTES", "bytes",
     "address space reserved for blocks up to 256 KiB; 0 chooses four times the memory of the "
     "machine",
     "A1", nullptr, HZ3_KNOB_BYTES, HZ3_KNOB_AT_START, 0, 16 * kTi, 0},
    {"shards", "HZ3_SHARDS", "shards",
     "pools that own spans, shared by all threads; 0 chooses two per CPU, at least 4: more means "
     "less "
     "waiting for locks and more partly used spans",
     "A2", nullptr, HZ3_KNOB_INT, HZ3_KNOB_AT_START, 0, 64, 0},
    {"thread_cache_bytes", "HZ3_THREAD_CACHE_BYTES", "bytes",
     "most bytes that the cache of one thread keeps over a tick: more saves trips to shared pools, "
     "less saves memory",
     "A3", nullptr, HZ3_KNOB_BYTES, 0, 0, 1 * kGi, 8 * kMi},
    {"bin_bytes", "HZ3_BIN_BYTES", "bytes", "most bytes in one bin (size class) of a thread cache",
     "A3", nullptr, HZ3_KNOB_BYTES, 0, 4 * kKi, 64 * kMi, 512 * kKi},
    {"bin_blocks", "HZ3_BIN_BLOCKS", "blocks",
     "most blocks in one bin of a thread cache, whatever their size", "A3", nullptr, HZ3_KNOB_INT,
     0, 4, 127, 127},
    {"remote_route", "HZ3_REMOTE_ROUTE", "",
     "where batches of blocks of other shards go first: the owner's stash, or the transfer cache "
     "that "
     "hands them on whole to whoever needs them",
     "A9", "owner_stash|transfer", HZ3_KNOB_CHOICE, 0, 0, 1, 1},
    {"drain_limit", "HZ3_DRAIN_LIMIT", "blocks",
     "most blocks that one refill takes out of the owner's stash; the rest waits as spill", "A5",
     nullptr, HZ3_KNOB_INT, 0, 1, 4096, 62},
    {"stash_max_objs", "HZ3_STASH_MAX_OBJS", "blocks",
     "most blocks parked in the stash of one shard and class; what does not fit goes to the "
     "transfer "
     "cache, then to central",
     "A5", nullptr, HZ3_KNOB_INT, 0, 0, 65536, 1024},
    {"stash_spill", "HZ3_STASH_SPILL", "",
     "keep what a drain leaves over as a private list of the shard; off puts it into its spans at "
     "once",
     "A6", nullptr, HZ3_KNOB_BOOL, 0, 0, 1, 1},
    {"transfer_slots", "HZ3_TRANSFER_SLOTS", "batches",
     "most batches per class in the transfer cache; 0 turns it off", "A7", nullptr, HZ3_KNOB_INT, 0,
     0, 1024, 256},
    {"transfer_bytes", "HZ3_TRANSFER_BYTES", "bytes", "most bytes per class in the transfer cache",
     "A7", nullptr, HZ3_KNOB_BYTES, 0, 0, 1 * kGi, 1 * kMi},
    {"pack_tries", "HZ3_PACK_TRIES", "segments",
     "most segments looked at for a run of pages before a new segment is opened", "A10", nullptr,
     HZ3_KNOB_INT, 0, 1, 1024, 32},
    {"pack_bestfit_k", "HZ3_PACK_BESTFIT_K", "segments",
     "fitting segments compared before the fullest is taken; 0 takes the first that fits", "A11",
     nullptr, HZ3_KNOB_INT, 0, 0, 64, 4},
    {"large_cache_soft", "HZ3_LARGE_CACHE_SOFT", "bytes",
     "freed large blocks above this are given back to the system as soon as they are freed", "A15",
     nullptr, HZ3_KNOB_BYTES, 0, 0, 1 * kTi, 512 * kMi},
    {"large_cache_hard", "HZ3_LARGE_CACHE_HARD", "bytes",
     "never keep more freed large blocks than this, whatever their age", "A15", nullptr,
     HZ3_KNOB_BYTES, 0, 0, 1 * kTi, 1 * kGi},
    {"large_madvise", "HZ3_LARGE_MADVISE", "",
     "give every large block back to the system when it is freed: least memory, most page faults",
     "A15", nullptr, HZ3_KNOB_BOOL, 0, 0, 1, 0},
    {"huge_pages", "HZ3_HUGE_PAGES", "",
     "huge pages: off, or for the 2 MiB parts of blocks of at least 4 MiB: a tenth of the page "
     "faults, but "
     "slow where the kernel has to compact memory first",
     "A15", "off|large", HZ3_KNOB_CHOICE, 0, 0, 1, 0},
    {"purge_delay_ms", "HZ3_PURGE_DELAY_MS", "ms",
     "free pages are given back to the system after lying idle this long: less saves memory, more "
     "saves page faults",
     "A16", nullptr, HZ3_KNOB_INT, 0, 0, 3'600'000, 1000},
    {"purge_budget_bytes", "HZ3_PURGE_BUDGET_BYTES", "bytes", "most bytes given back in one tick",
     "A16", nullptr, HZ3_KNOB_BYTES, 0, 64 * kKi, 1 * kTi, 16 * kMi},
    {"epoch_events", "HZ3_EPOCH_EVENTS", "events",
     "slow events of a thread (misses and overflows of all classes) between two ticks", "A17",
     nullptr, HZ3_KNOB_INT, 0, 16, 1'000'000, 256},
    {"on_invalid_free", "HZ3_ON_INVALID_FREE", "",
     "what a free of something that is not a live block does: stop the process, or print the line "
     "and "
     "go on",
     "A20", "abort|warn", HZ3_KNOB_CHOICE, 0, 0, 1, 0},
};
static_assert(sizeof kTable / sizeof kTable[0] == kKnobCount);

bool is_space(char c) { return c == ' ' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equals_ignoring_case(const char* text, std::size_t length, const char* word) {
  if (std::strlen(word) != length) return false;
  for (std::size_t i = 0; i < length; ++i) {
    if (lower(text[i]) != word[i]) return false;
  }
  return true;
}

// 10, 64k, 2 MiB -> number; nothing else. False also when it does not fit 63 bits.
bool parse_number(const char* text, std::size_t length, bool with_suffix, std::int64_t* value) {
  std::size_t i = 0;
  std::uint64_t number = 0;
  while (i < length && is_digit(text[i])) {
    if (number > (std::uint64_t{1} << 60)) return false;
    number = number * 10 + static_cast<std::uint64_t>(text[i] - '0');
    ++i;
  }
  if (i == 0) return false;
  if (i < length && with_suffix) {
    unsigned shift = 0;
    switch (lower(text[i])) {
      case 'k':
        shift = 10;
        break;
      case 'm':
        shift = 20;
        break;
      case 'g':
        shift = 30;
        break;
      case 't':
        shift = 40;
        break;
      default:
        return false;
    }
    ++i;
    if (i < length && lower(text[i]) == 'i') ++i;
    if (i < length && lower(text[i]) == 'b') ++i;
    if (number > (std::uint64_t{1} << (62 - shift))) return false;
    number <<= shift;
  }
  if (i != length || number > (std::uint64_t{1} << 62)) return false;
  *value = static_cast<std::int64_t>(number);
  return true;
}

bool parse_choice(const char* text, std::size_t length, const char* choices, std::int64_t* value) {
  std::int64_t index = 0;
  for (const char* word = choices; *word != '\0'; ++index) {
    const char* end = word;
    while (*end != '\0' && *end != '|') ++end;
    if (static_cast<std::size_t>(end - word) == length && std::strncmp(word, text, length) == 0) {
      *value = index;
      return true;
    }
    word = *end == '|' ? end + 1 : end;
  }
  return false;
}

bool parse_bool(const char* text, std::size_t length, std::int64_t* value) {
  for (const char* word : {"1", "on", "true", "yes"}) {
    if (equals_ignoring_case(text, length, word)) return *value = 1, true;
  }
  for (const char* word : {"0", "off", "false", "no"}) {
    if (equals_ignoring_case(text, length, word)) return *value = 0, true;
  }
  return false;
}

bool parse(const hz3_knob_info& info, const char* text, std::int64_t* value) {
  while (is_space(*text)) ++text;
  std::size_t length = std::strlen(text);
  while (length != 0 && is_space(text[length - 1])) --length;
  switch (info.type) {
    case HZ3_KNOB_BOOL:
      return parse_bool(text, length, value);
    case HZ3_KNOB_CHOICE:
      return parse_choice(text, length, info.choices, value);
    case HZ3_KNOB_BYTES:
      return parse_number(text, length, true, value);
    case HZ3_KNOB_INT:
      return parse_number(text, length, false, value);
  }
  return false;
}

void describe_allowed(const hz3_knob_info& info, Line* line) {
  switch (info.type) {
    case HZ3_KNOB_BOOL:
      line->text("allowed: 0 or 1");
      break;
    case HZ3_KNOB_CHOICE:
      line->text("allowed: ").text(info.choices);
      break;
    default:
      line->text("allowed: ").number(static_cast<unsigned long long>(info.min_value));
      line->text(" to ").number(static_cast<unsigned long long>(info.max_value));
      if (info.unit[0] != '\0') line->text(" ").text(info.unit);
      if (info.type == HZ3_KNOB_BYTES) line->text(", with K, M, G or T");
  }
}

void copy_message(Line* line, char* message, std::size_t message_bytes) {
  if (message == nullptr || message_bytes == 0) return;
  const char* text = line->c_str();
  const std::size_t length = min_of(std::strlen(text), message_bytes - 1);
  std::memcpy(message, text, length);
  message[length] = '\0';
}

bool in_range(const hz3_knob_info& info, std::int64_t value) {
  return value >= info.min_value && value <= info.max_value;
}

void store(std::size_t index, std::int64_t value) {
  detail::knob_values[index].store(value, std::memory_order_relaxed);
}

}  // namespace

namespace detail {
namespace {
constexpr std::int64_t default_of(Knob which) {
  return kTable[static_cast<std::size_t>(which)].default_value;
}
}  // namespace

// Constant-initialised, so that a value is there before any constructor runs.
#define HZ3_DEFAULT(which) default_of(Knob::which)
std::atomic<std::int64_t> knob_values[kKnobCount] = {
    HZ3_DEFAULT(kArenaBytes),       HZ3_DEFAULT(kShards),         HZ3_DEFAULT(kThreadCacheBytes),
    HZ3_DEFAULT(kBinBytes),         HZ3_DEFAULT(kBinBlocks),      HZ3_DEFAULT(kRemoteRoute),
    HZ3_DEFAULT(kDrainLimit),       HZ3_DEFAULT(kStashMaxObjs),   HZ3_DEFAULT(kStashSpill),
    HZ3_DEFAULT(kTransferSlots),    HZ3_DEFAULT(kTransferBytes),  HZ3_DEFAULT(kPackTries),
    HZ3_DEFAULT(kPackBestfitK),     HZ3_DEFAULT(kLargeCacheSoft), HZ3_DEFAULT(kLargeCacheHard),
    HZ3_DEFAULT(kLargeMadvise),     HZ3_DEFAULT(kHugePages),      HZ3_DEFAULT(kPurgeDelayMs),
    HZ3_DEFAULT(kPurgeBudgetBytes), HZ3_DEFAULT(kEpochEvents),    HZ3_DEFAULT(kOnInvalidFree),
};
#undef HZ3_DEFAULT
}  // namespace detail

const hz3_knob_info* knob_info(std::size_t index) {
  return index < kKnobCount ? &kTable[index] : nullptr;
}

int find_knob(const char* name, std::size_t* index) {
  if (name == nullptr) return HZ3_UNKNOWN_NAME;
  for (std::size_t i = 0; i < kKnobCount; ++i) {
    if (std::strcmp(kTable[i].name, name) == 0) {
      *index = i;
      return HZ3_OK;
    }
  }
  return HZ3_UNKNOWN_NAME;
}

int set_knob(const char* name, std::int64_t value) {
  std::size_t index = 0;
  if (const int refused = find_knob(name, &index); refused != HZ3_OK) return refused;
  if ((kTable[index].flags & HZ3_KNOB_AT_START) != 0) return HZ3_ONLY_AT_START;
  if (!in_range(kTable[index], value)) return HZ3_OUT_OF_RANGE;
  store(index, value);
  return HZ3_OK;
}

int set_knob_from_text(const char* name, const char* text, char* message,
                       std::size_t message_bytes) {
  Line line;
  std::size_t index = 0;
  int result = find_knob(name, &index);
  if (result != HZ3_OK) {
    line.text("there is no knob '").text(name == nullptr ? "" : name).text("'");
  } else {
    std::int64_t value = 0;
    const hz3_knob_info& info = kTable[index];
    if ((info.flags & HZ3_KNOB_AT_START) != 0) {
      result = HZ3_ONLY_AT_START;
      line.text(info.name).text(" can only be set at start, through ").text(info.env);
    } else if (text == nullptr || !parse(info, text, &value)) {
      result = HZ3_NOT_A_VALUE;
      line.text(info.name).text(": '").text(text == nullptr ? "" : text).text("' is not a value; ");
      describe_allowed(info, &line);
    } else if (!in_range(info, value)) {
      result = HZ3_OUT_OF_RANGE;
      line.text(info.name).text(": ").text(text).text(" is out of range; ");
      describe_allowed(info, &line);
    } else {
      store(index, value);
    }
  }
  copy_message(&line, message, message_bytes);
  return result;
}

void read_knobs_from_environment() {
  if (environ == nullptr || os::is_secure_execution()) return;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, "HZ3_", 4) != 0) continue;
    const char* equals = std::strchr(*entry, '=');
    if (equals == nullptr) continue;
    const auto name_length = static_cast<std::size_t>(equals - *entry);
    for (std::size_t i = 0; i < kKnobCount; ++i) {
      const hz3_knob_info& info = kTable[i];
      if (std::strlen(info.env) != name_length ||
          std::strncmp(info.env, *entry, name_length) != 0) {
        continue;
      }
      std::int64_t value = 0;
      if (parse(info, equals + 1, &value) && in_range(info, value)) {
        store(i, value);
      } else {
        Line line;
        line.text("hz3: ")
            .text(info.env)
            .text("='")
            .text(equals + 1)
            .text("' is refused, the default stays; ");
        describe_allowed(info, &line);
        line.write_to_stderr();
      }
    }
  }
}

}  // namespace hz3
