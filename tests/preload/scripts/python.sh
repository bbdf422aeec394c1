# needs: python3
# Python with its own small-object allocator in front, without it, and with guards around blocks.
export PYTHONHASHSEED=0
python3 "$SCRIPTS/threads_and_processes.py"
PYTHONMALLOC=malloc python3 "$SCRIPTS/threads_and_processes.py"
PYTHONMALLOC=malloc_debug python3 "$SCRIPTS/threads_and_processes.py"
