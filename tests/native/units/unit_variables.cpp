// Which variable a misspelt one was meant to be.
#include <cstring>
#include <string>

#include "settings/knobs.h"
#include "settings/unknown_variables.h"
#include "support/check.hpp"

namespace {

using namespace hz3;

constexpr std::size_t kPrefix = 4;  // HZ3_

std::string nearest(const std::string& name) {
  const char* found = nearest_variable(name.data(), name.size());
  return found == nullptr ? "" : found;
}

TEST(a_slip_in_the_name_of_any_knob_leads_back_to_it) {
  for (const hz3_knob_info& info : knob_table) {
    const std::string right = info.env;
    for (std::size_t i = kPrefix; i < right.size(); ++i) {
      const std::string left_out = right.substr(0, i) + right.substr(i + 1);
      const std::string doubled = right.substr(0, i) + right[i] + right.substr(i);
      const std::string replaced = right.substr(0, i) + "X" + right.substr(i + 1);
      for (const std::string& slip : {left_out, doubled, replaced}) {
        CHECKF(nearest(slip) == right, "%s -> %s", slip.c_str(), nearest(slip).c_str());
      }
    }
  }
}

TEST(swaps_missing_words_and_other_cases_are_near) {
  CHECK(nearest("HZ3_SHRADS") == "HZ3_SHARDS");
  CHECK(nearest("HZ3_PURGE_DELAY") == "HZ3_PURGE_DELAY_MS");
  CHECK(nearest("HZ3_THREAD_CACHE") == "HZ3_THREAD_CACHE_BYTES");
  CHECK(nearest("HZ3_remote_route") == "HZ3_REMOTE_ROUTE");
  CHECK(nearest("HZ3_OBSERVEFILE") == "HZ3_OBSERVE_FILE");
}

TEST(what_is_like_no_knob_leads_nowhere) {
  for (const char* name : {"HZ3_", "HZ3_X", "HZ3_COLOUR", "HZ3_TEST_SED", "HZ3_LIBRARIES"}) {
    CHECKF(nearest(name).empty(), "%s -> %s", name, nearest(name).c_str());
  }
}

TEST(names_of_any_length_are_borne) {
  for (std::size_t length = 0; length < 200; ++length) {
    CHECK(nearest("HZ3_" + std::string(length, 'Q')).empty());
  }
  CHECK(nearest("HZ3_SHARDS" + std::string(100000, 'S')).empty());
}

TEST(only_the_given_length_counts) {
  const char* entry = "HZ3_SHARD=4";
  const char* found = nearest_variable(entry, std::strlen("HZ3_SHARD"));
  CHECK(found != nullptr && std::strcmp(found, "HZ3_SHARDS") == 0);
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
