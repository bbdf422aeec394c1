"""A Python program with threads, processes and extension modules, whose output never varies."""

from __future__ import annotations

import collections
import concurrent.futures
import ctypes
import gc
import hashlib
import io
import json
import multiprocessing
import pickle
import re
import subprocess
import sys
import threading
import zlib


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def work(number: int) -> str:
    """Build, serialise, compress and search some thousand objects."""
    rows = [
        {"id": i, "name": f"row-{i * 7919 % 1009}", "data": [i] * (i % 17)} for i in range(3000)
    ]
    text = json.dumps(rows[number::7], sort_keys=True)
    packed = zlib.compress(text.encode(), 6)
    again = json.loads(zlib.decompress(packed))
    words = collections.Counter(re.findall(r"row-(\d+)", text))
    return digest(pickle.dumps((number, len(packed), again[0]["name"], sorted(words.items()))))


class Node:
    """Part of a cycle that only the collector can free."""

    def __init__(self, size: int) -> None:
        self.other: Node = self
        self.load = bytearray(size)


def leave_garbage(number: int) -> None:
    for _ in range(200):
        first, second = Node(number % 5000), Node(number)
        first.other, second.other = second, first


def run_threads() -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        say("pool", digest("".join(pool.map(work, range(40))).encode()))
    threads = [threading.Thread(target=leave_garbage, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()


def run_processes() -> None:
    with multiprocessing.get_context("fork").Pool(3) as pool:
        say("processes", digest("".join(pool.map(work, range(12))).encode()))
    command = [sys.executable, "-c", "print(sum(range(10**6)))"]
    say("child", subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def run_memory() -> None:
    say("integers", digest(hex(3**20000).encode()), (7**30000).bit_length())
    buffer = io.BytesIO()
    for number in range(20000):
        buffer.write(b"x" * (number % 300))
    say("buffer", digest(buffer.getvalue()))
    libc = ctypes.CDLL(None)
    libc.strdup.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    for number in range(1000):
        libc.free(libc.strdup(b"y" * number))
    try:
        bytearray(sys.maxsize)
    except MemoryError:
        say("MemoryError")


if __name__ == "__main__":
    run_threads()
    run_processes()
    run_memory()
