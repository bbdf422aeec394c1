// Writes the document. Keys may be added, never renamed.
#include "observe/document.h"

#include "base/bits.h"
#include "os/files.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

constexpr unsigned kSchema = 1;

template <class Struct>
struct Named {
  const char* name;
  std::uint64_t Struct::*field;
};

constexpr Named<hz3_observation> kParts[] = {
    {"live", &hz3_observation::live_bytes},
    {"thread_cache", &hz3_observation::thread_cache_bytes},
    {"stash", &hz3_observation::stash_bytes},
    {"spill", &hz3_observation::spill_bytes},
    {"transfer", &hz3_observation::transfer_bytes},
    {"remote_stash", &hz3_observation::remote_stash_bytes},
    {"page_queue", &hz3_observation::page_queue_bytes},
    {"central", &hz3_observation::central_bytes},
    {"tail_waste", &hz3_observation::tail_waste_bytes},
    {"free_pages", &hz3_observation::free_pages_bytes},
    {"large_live", &hz3_observation::large_live_bytes},
    {"large_cache", &hz3_observation::large_cache_bytes},
    {"metadata", &hz3_observation::metadata_bytes},
    {"non_heap", &hz3_observation::non_heap_bytes},
};

constexpr Named<hz3_observation> kTotals[] = {
    {"resident_bytes", &hz3_observation::resident_bytes},
    {"kernel_resident_bytes", &hz3_observation::kernel_resident_bytes},
    {"heap_resident_bytes", &hz3_observation::heap_resident_bytes},
    {"kernel_heap_resident_bytes", &hz3_observation::kernel_heap_resident_bytes},
    {"threads", &hz3_observation::threads},
    {"locks_missed", &hz3_observation::locks_missed},
};

constexpr Named<hz3_class_observation> kClassFields[] = {
    {"block_bytes", &hz3_class_observation::block_bytes},
    {"span_bytes", &hz3_class_observation::span_bytes},
    {"partial_spans", &hz3_class_observation::partial_spans},
    {"empty_spans", &hz3_class_observation::empty_spans},
    {"full_spans", &hz3_class_observation::full_spans},
    {"live_blocks", &hz3_class_observation::live_blocks},
    {"parked_blocks", &hz3_class_observation::parked_blocks},
    {"free_blocks", &hz3_class_observation::free_blocks},
    {"live_bytes", &hz3_class_observation::live_bytes},
    {"thread_cache_bytes", &hz3_class_observation::thread_cache_bytes},
    {"stash_bytes", &hz3_class_observation::stash_bytes},
    {"spill_bytes", &hz3_class_observation::spill_bytes},
    {"transfer_bytes", &hz3_class_observation::transfer_bytes},
    {"remote_stash_bytes", &hz3_class_observation::remote_stash_bytes},
    {"page_queue_bytes", &hz3_class_observation::page_queue_bytes},
    {"central_bytes", &hz3_class_observation::central_bytes},
    {"tail_waste_bytes", &hz3_class_observation::tail_waste_bytes},
};

constexpr Named<hz3_observation> kSegmentFields[] = {
    {"open", &hz3_observation::segments},
    {"used_pages", &hz3_observation::used_pages},
    {"free_pages", &hz3_observation::free_pages},
    {"dirty_pages", &hz3_observation::dirty_pages},
};

template <class Struct, std::size_t kCount>
void write_fields(const Struct& from, const Named<Struct> (&fields)[kCount], JsonWriter* writer) {
  for (const Named<Struct>& one : fields) writer->field(one.name, from.*one.field);
}

void write_spans(const hz3_observation& whole, JsonWriter* writer) {
  const struct {
    const char* name;
    std::uint64_t spans;
    std::uint64_t bytes;
  } rows[] = {
      {"partial", whole.partial_spans, whole.partial_span_bytes},
      {"empty", whole.empty_spans, whole.empty_span_bytes},
      {"full", whole.full_spans, whole.full_span_bytes},
  };
  writer->key("spans").open_object();
  for (const auto& row : rows) {
    writer->key(row.name).open_object();
    writer->field("spans", row.spans);
    writer->field("resident_bytes", row.bytes);
    writer->close_object();
  }
  writer->close_object();
}

void write_segments(const Observation& observation, JsonWriter* writer) {
  writer->key("segments").open_object();
  write_fields(observation.whole, kSegmentFields, writer);
  writer->field("segment_bytes", kSegmentBytes);
  writer->field("page_bytes", kPageBytes);
  writer->field("free_pages_bucket", kPagesPerBucket);
  writer->key("free_pages_histogram").open_array();
  for (const std::uint64_t count : observation.segments_by_free_pages) writer->number(count);
  writer->close_array();
  writer->close_object();
}

void write_classes(const Observation& observation, JsonWriter* writer) {
  writer->key("classes").open_array();
  for (const hz3_class_observation& one : observation.classes) {
    writer->open_object();
    write_fields(one, kClassFields, writer);
    writer->field("waste_bytes", waste_bytes(one));
    writer->close_object();
  }
  writer->close_array();
}

// The classes in which most memory is idle, the worst first.
void write_top_waste(const Observation& observation, JsonWriter* writer) {
  writer->key("top_waste").open_array();
  std::uint64_t ceiling = ~std::uint64_t{0};
  unsigned after = kClassCount;  // among equals, the ones before it are done
  for (unsigned rank = 0; rank < kTopClasses; ++rank) {
    unsigned worst = kClassCount;
    std::uint64_t most = 0;
    for (unsigned i = 0; i < kClassCount; ++i) {
      const std::uint64_t waste = waste_bytes(observation.classes[i]);
      const bool left = waste < ceiling || (waste == ceiling && i > after && after != kClassCount);
      if (left && waste > most) {
        most = waste;
        worst = i;
      }
    }
    if (worst == kClassCount) break;
    writer->open_object();
    writer->field("block_bytes", kClasses[worst].block_bytes);
    writer->field("waste_bytes", most);
    writer->close_object();
    ceiling = most;
    after = worst;
  }
  writer->close_array();
}

void write_choice(const char* choices, std::int64_t index, JsonWriter* writer) {
  const char* word = choices;
  for (;;) {
    const char* end = word;
    while (*end != '\0' && *end != '|') ++end;
    if (index-- == 0 || *end == '\0') {
      writer->text(word, static_cast<std::size_t>(end - word));
      return;
    }
    word = end + 1;
  }
}

void write_knobs(JsonWriter* writer) {
  writer->key("knobs").open_object();
  for (std::size_t i = 0; i < kKnobCount; ++i) {
    const hz3_knob_info& info = *knob_info(i);
    const std::int64_t value = knob(static_cast<Knob>(i));
    writer->key(info.name);
    switch (info.type) {
      case HZ3_KNOB_BOOL:
        writer->truth(value != 0);
        break;
      case HZ3_KNOB_CHOICE:
        write_choice(info.choices, value, writer);
        break;
      case HZ3_KNOB_INT:
      case HZ3_KNOB_BYTES:
        writer->number(static_cast<std::uint64_t>(value));
        break;
    }
  }
  writer->close_object();
}

}  // namespace

void write_document(const Observation& observation, JsonWriter* writer) {
  writer->open_object();
  writer->field("schema", kSchema);
  writer->key("version").text(HZ3_VERSION);
  writer->field("pid", os::process_id());
  writer->key("parts").open_object();
  write_fields(observation.whole, kParts, writer);
  writer->close_object();
  write_fields(observation.whole, kTotals, writer);
  write_spans(observation.whole, writer);
  write_classes(observation, writer);
  write_top_waste(observation, writer);
  write_segments(observation, writer);
  writer->key("counters").open_object();
  for (std::size_t i = 0; i < kCounterCount; ++i) {
    writer->field(counter_info(i)->name, observation.counters[i]);
  }
  writer->close_object();
  write_knobs(writer);
  writer->close_object();
}

}  // namespace hz3
