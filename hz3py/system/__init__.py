"""What is on this machine: allocators, programs started under them, and the machine itself."""
