// Sets LD_PRELOAD, also for paths it cannot hold; see preload.h.
#include "preload.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"

namespace hz3::launcher {
namespace {

constexpr char kPreloadSeparators[] = " \t\n:";
constexpr char kFolderSeparators[] = ":;";

bool has_any(const char* text, const char* characters) {
  return strpbrk(text, characters) != nullptr;
}

// Sets name to first, followed by what name holds already.
void prepend(const char* name, const char* first, char separator) {
  const char* rest = getenv(name);
  if (rest == nullptr || *rest == '\0') {
    setenv(name, first, 1);
    return;
  }
  const size_t size_bytes = strlen(first) + strlen(rest) + 2;
  char* joined = static_cast<char*>(malloc(size_bytes));
  if (joined == nullptr) {
    fail("out of memory");
  }
  snprintf(joined, size_bytes, "%s%c%s", first, separator, rest);
  setenv(name, joined, 1);
  free(joined);
}

// Makes path absolute without following links, so that the name the user gave stays visible.
void make_absolute(const char* path, char (&absolute)[PATH_MAX]) {
  char folder[PATH_MAX] = "";
  if (*path != '/' && getcwd(folder, sizeof folder) == nullptr) {
    fail("cannot tell the working folder: %s", strerror(errno));
  }
  const int length =
      snprintf(absolute, sizeof absolute, "%s%s%s", folder, *path == '/' ? "" : "/", path);
  if (length < 0 || static_cast<size_t>(length) >= sizeof absolute) {
    fail("the path of the library to preload is too long: '%s'", path);
  }
}

}  // namespace

const char* set_preload(const char* path) {
  static char resolved[PATH_MAX];
  char absolute[PATH_MAX];
  make_absolute(path, absolute);
  if (access(absolute, R_OK) != 0 || realpath(absolute, resolved) == nullptr) {
    fail("cannot preload '%s': %s", path, strerror(errno));
  }
  if (!has_any(absolute, kPreloadSeparators)) {
    prepend("LD_PRELOAD", absolute, ':');
    return resolved;
  }
  char* slash = strrchr(absolute, '/');
  *slash = '\0';
  const char* folder = absolute[0] == '\0' ? "/" : absolute;
  const char* name = slash + 1;
  if (has_any(name, kPreloadSeparators) || has_any(folder, kFolderSeparators)) {
    fail("cannot preload '%s': the dynamic loader splits this path; make a link with a plain name",
         path);
  }
  prepend("LD_LIBRARY_PATH", folder, ':');
  prepend("LD_PRELOAD", name, ':');
  return resolved;
}

}  // namespace hz3::launcher
