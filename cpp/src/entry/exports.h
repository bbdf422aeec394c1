// How the exported functions are declared.
#pragma once

#define HZ3_EXPORT extern "C" __attribute__((visibility("default")))
