// hz3-probe: says which object provides malloc in a process like this one, and its version.
//
// Started under a preload it proves that the preload takes. Dynamic, needs libc alone, allocates
// one block so that a library that cannot serve one is found out. One thread.
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace {

template <typename Function>
Function find(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

// The file of the object that provides the function, or "" if nobody does.
const char* provider(const char* name) {
  void* address = dlsym(RTLD_DEFAULT, name);
  Dl_info info;
  if (address == nullptr || dladdr(address, &info) == 0 || info.dli_fname == nullptr) {
    return "";
  }
  return info.dli_fname;
}

bool is_provided_by_libc(const char* object) {
  const char* slash = strrchr(object, '/');
  const char* name = slash == nullptr ? object : slash + 1;
  return strncmp(name, "libc.so", 7) == 0 || strncmp(name, "libc-", 5) == 0;
}

// mimalloc packs its version into decimal digits: 209 is 2.0.9; newer ones use two digits for the
// last two parts, 30201 is 3.2.1.
void write_mimalloc_version(int packed, char* version, size_t size_bytes) {
  const int base = packed >= 10'000 ? 100 : 10;
  snprintf(version, size_bytes, "%d.%d.%d", packed / (base * base), packed / base % base,
           packed % base);
}

// The version in the words of whoever provides malloc; empty if it does not tell.
void write_version(const char* malloc_object, char* version, size_t size_bytes) {
  version[0] = '\0';
  if (is_provided_by_libc(malloc_object)) {
    snprintf(version, size_bytes, "%s", gnu_get_libc_version());
  } else if (const auto hz3_version = find<const char* (*)()>("hz3_version")) {
    snprintf(version, size_bytes, "%s", hz3_version());
  } else if (const auto mi_version = find<int (*)()>("mi_version")) {
    write_mimalloc_version(mi_version(), version, size_bytes);
  } else if (const auto tc_version =
                 find<const char* (*)(int*, int*, const char**)>("tc_version")) {
    int major_number = 0;
    int minor_number = 0;
    const char* patch = "";
    tc_version(&major_number, &minor_number, &patch);
    snprintf(version, size_bytes, "%d.%d%s", major_number, minor_number, patch);
  } else if (const auto mallctl =
                 find<int (*)(const char*, void*, size_t*, void*, size_t)>("mallctl")) {
    const char* text = nullptr;
    size_t length = sizeof text;
    if (mallctl("version", &text, &length, nullptr, 0) == 0 && text != nullptr) {
      snprintf(version, size_bytes, "%.*s", static_cast<int>(strcspn(text, "-")), text);
    }
  }
}

void print_text(const char* text) {
  putchar('"');
  for (; *text != '\0'; ++text) {
    const unsigned char byte = static_cast<unsigned char>(*text);
    if (byte == '"' || byte == '\\') {
      printf("\\%c", byte);
    } else if (byte < 0x20) {
      printf("\\u%04x", static_cast<unsigned>(byte));
    } else {
      putchar(byte);
    }
  }
  putchar('"');
}

}  // namespace

int main() {
  // Volatile: the compiler may otherwise leave out a block that nobody uses.
  void* volatile block = malloc(100);
  if (block == nullptr) {
    fputs("hz3-probe: malloc(100) returned a null pointer\n", stderr);
    return 1;
  }
  free(block);

  const char* malloc_object = provider("malloc");
  char version[128];
  write_version(malloc_object, version, sizeof version);
  fputs("{\"malloc_object\":", stdout);
  print_text(malloc_object);
  fputs(",\"free_object\":", stdout);
  print_text(provider("free"));
  fputs(",\"calloc_object\":", stdout);
  print_text(provider("calloc"));
  fputs(",\"version\":", stdout);
  print_text(version);
  fputs("}\n", stdout);
  return fflush(stdout) == 0 ? 0 : 1;
}
