"""The resident-memory sampler: a process of its own that watches another one from /proc.

Run by a Python of its own (``main.main`` with PID_FD PHASE_FD INTERVAL_US [IDLE_US [ASK]]), which
imports nothing of hz3 but this package and nothing of the system but some small modules, so it
starts in some milliseconds; its own size and garbage collection stay out of the way. Its modules
name each other relatively, because there the package has no parent. With ASK 1, processes that
catch SIGUSR2 get it before they are ended: hz3 answers with an account of its memory.

Protocol: prints ``ready`` on stdout; then reads "PID" from PID_FD, which ``hz3-exec`` writes once
the program runs, so that no sample ever shows the launcher; follows that process and its
descendants until they are gone or stdin is closed; then prints what it saw as text lines::

    mark NAME SECONDS      a phase mark that the program wrote to HZ3_PHASE_FD
    row SECONDS KIB ANON   resident memory of all processes together; ANON KiB of it are anonymous
    quiet SECONDS NAME=KIB ...  the exact account of a moment at which the program rested
    stopped BEGIN END      it rested from BEGIN to END, IDLE_US long, and was ended by us
    cpu SECONDS            CPU time the sampler used while watching
    samples N              how often it looked, before thinning
    interval SECONDS       distance of the readings at the end

Seconds count from the moment the program ran. ``/proc/PID/statm`` is read through descriptors
that stay open, some microseconds a time. ``smaps_rollup`` holds the lock that the watched allocator
needs, so it is read only while the program uses no CPU time, and seldom. Pages shared after a fork
count once per process in the rows; the account of a quiet moment shares them out (PSS).
"""
