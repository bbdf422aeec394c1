# needs: node
# A runtime with a heap of its own, and threads and a child process beside it.
node "$SCRIPTS/workers.js"
