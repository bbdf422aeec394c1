"""A process and its descendants, and how much memory they hold."""

from __future__ import annotations

import os
import signal

from . import kernel

_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


class Tree:
    """A process and its descendants, each with its ``statm`` held open.

    Args:
        root: Process id to begin with; without permission or when gone, the tree is empty.
    """

    def __init__(self, root: int) -> None:
        self._statm: dict[int, int] = {}
        self.anon_kb = 0
        self._has_children_files = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
        self._add(root)

    def resident_kb(self) -> int:
        """Sum the resident memory of all living processes in KiB; 0 if none is left.

        What of it is anonymous (no page of a file) is in `anon_kb` afterwards.
        """
        pages, of_files = 0, 0
        for pid, descriptor in list(self._statm.items()):
            resident, shared = kernel.resident_pages(descriptor)
            if resident == 0:
                os.close(self._statm.pop(pid))
            pages += resident
            of_files += shared
        self.anon_kb = max(0, pages - of_files) * _PAGE_KB
        return pages * _PAGE_KB

    def cpu_ticks(self) -> int:
        """Sum the CPU time that the living processes have used, in clock ticks."""
        return sum(kernel.cpu_ticks(pid) for pid in self._statm)

    def account(self) -> dict[str, int]:
        """Sum the exact accounts of all living processes, names of `kernel.ACCOUNT` to KiB."""
        sums: dict[str, int] = {}
        for pid in self._statm:
            for name, kb in kernel.account(pid).items():
                sums[name] = sums.get(name, 0) + kb
        return sums

    def scan(self) -> None:
        """Look for new descendants of the processes known so far."""
        if not self._has_children_files:
            for pid, parent in kernel.all_parents():
                if parent in self._statm:
                    self._add(pid)
            return
        known = list(self._statm)
        while known:
            for child in kernel.children(known.pop()):
                if self._add(child):
                    known.append(child)

    def signal(self, number: int) -> None:
        """Send a signal to every living process."""
        for pid in self._statm:
            try:
                os.kill(pid, number)
            except OSError:
                continue

    def ask(self) -> None:
        """Ask every process that catches SIGUSR2 for an account; it would end the others."""
        for pid in self._statm:
            if kernel.catches(pid, signal.SIGUSR2):
                os.kill(pid, signal.SIGUSR2)

    def _add(self, pid: int) -> bool:
        if pid in self._statm:
            return False
        try:
            self._statm[pid] = os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        return True
