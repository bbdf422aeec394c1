// The observation as a document: names of parts, order of keys. Names are part of the interface.
#pragma once

#include "observe/census.h"
#include "observe/json_writer.h"

namespace hz3 {

void write_document(const Observation& observation, JsonWriter* writer);

}  // namespace hz3
