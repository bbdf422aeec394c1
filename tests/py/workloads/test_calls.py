"""The calls that the workload programs make, seen by a preloaded library.

Each library is a few lines of C, compiled here: one counts the calls, one provides the C++
operators, the others break the allocator on purpose, and the workload must notice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Workloads

COUNTING_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
static unsigned long mallocs, frees;
void* malloc(size_t size) {
  static void* (*next)(size_t);
  if (!next) next = (void* (*)(size_t))dlsym(RTLD_NEXT, "malloc");
  __atomic_fetch_add(&mallocs, 1, __ATOMIC_RELAXED);
  return next(size);
}
void free(void* block) {
  static void (*next)(void*);
  if (!next) next = (void (*)(void*))dlsym(RTLD_NEXT, "free");
  if (block) __atomic_fetch_add(&frees, 1, __ATOMIC_RELAXED);
  next(block);
}
__attribute__((destructor)) static void report(void) {
  fprintf(stderr, "%lu %lu\n", mallocs, frees);
}
"""


@pytest.mark.parametrize("mode", ["none", "first", "ends", "full"])
def test_every_described_call_is_made_and_no_other(
    workloads: Workloads, compile_shim: Callable[[str], dict[str, str]], mode: str
) -> None:
    env = compile_shim(COUNTING_SHIM)
    words = [*workloads.tiny_words("random_mixed"), "--touch", mode]
    run = workloads.start("random_mixed", *words, env=env)
    result = json.loads(run.stdout)
    mallocs, frees = map(int, run.stderr.split())
    assert Path(result["malloc_object"]).name == "shim.so"
    # No call was optimised away, and the program has no heap use of its own.
    assert mallocs == frees == result["ops"] / 2

    run = workloads.start("glibc_simple", "1600", "--touch", mode, env=env)
    mallocs, frees = map(int, run.stderr.split())
    assert 0 <= mallocs - json.loads(run.stdout)["ops"] < 10  # its three threads


OVERLAPPING_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
static char region[1 << 26];
static size_t used;
static int is_ours(void* block) {
  return (char*)block >= region && (char*)block < region + sizeof(region);
}
void* malloc(size_t size) {
  static void* (*next)(size_t);
  if (!next) next = (void* (*)(size_t))dlsym(RTLD_NEXT, "malloc");
  if (size < 16 || size > 128) return next(size);
  /* The last word of each block is the first of the next one. */
  return region + __atomic_fetch_add(&used, size - 8, __ATOMIC_RELAXED);
}
void free(void* block) {
  static void (*next)(void*);
  if (!next) next = (void (*)(void*))dlsym(RTLD_NEXT, "free");
  if (!is_ours(block)) next(block);
}
"""


@pytest.mark.parametrize("mode", ["ends", "full"])
def test_mstress_notices_overlapping_blocks(
    workloads: Workloads, compile_shim: Callable[[str], dict[str, str]], mode: str
) -> None:
    env = compile_shim(OVERLAPPING_SHIM)
    run = workloads.start("mstress", *workloads.tiny_words("mstress"), "--touch", mode, env=env)
    assert run.returncode == 1
    assert run.stdout == ""
    assert "is damaged at word" in run.stderr


FORGETFUL_SHIM = r"""
#include <stdlib.h>
#include <string.h>
void* realloc(void* block, size_t size) {
  void* moved = malloc(size);
  if (block) memcpy(moved, block, 8);  /* and not the rest */
  free(block);
  return moved;
}
"""


def test_realloc_growth_notices_lost_contents(
    workloads: Workloads, compile_shim: Callable[[str], dict[str, str]]
) -> None:
    env = compile_shim(FORGETFUL_SHIM)
    run = workloads.start("realloc_growth", *workloads.tiny_words("realloc_growth"), env=env)
    assert run.returncode == 1
    assert run.stdout == ""
    assert "lost the contents" in run.stderr
    assert workloads.tiny("realloc_growth", "--touch", "none", env=env)["failed"] == 0


OPERATOR_SHIM = r"""
#include <stdio.h>
#include <stdlib.h>
static unsigned long news, plain, sized;
void* _Znam(size_t size) { __atomic_fetch_add(&news, 1, __ATOMIC_RELAXED); return malloc(size); }
void _ZdaPv(void* block) { __atomic_fetch_add(&plain, 1, __ATOMIC_RELAXED); free(block); }
void _ZdaPvm(void* block, size_t size) {
  __atomic_fetch_add(&sized, size > 0, __ATOMIC_RELAXED);
  free(block);
}
__attribute__((destructor)) static void report(void) {
  fprintf(stderr, "%lu %lu %lu\n", news, plain, sized);
}
"""


@pytest.mark.parametrize("is_sized", [False, True])
def test_preloaded_operators_are_called(
    workloads: Workloads, compile_shim: Callable[[str], dict[str, str]], is_sized: bool
) -> None:
    env = compile_shim(OPERATOR_SHIM)
    words = [*workloads.tiny_words("larson"), *(["--sized"] if is_sized else [])]
    run = workloads.start("larson", *words, env=env)
    result = json.loads(run.stdout)
    assert Path(result["operator_object"]).name == "shim.so"
    news, plain, sized = map(int, run.stderr.split())
    assert news == plain + sized >= result["ops"]
    assert (plain == 0) == is_sized
    assert (sized == 0) == (not is_sized)
