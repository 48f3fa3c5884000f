"""A terminal with an interactive shell, closed as its window would be: closed-terminal.py COMMAND FILE. Types the command into it,
waits until there is such a file, and closes it."""

import os
import pty
import sys
import time

command, file = sys.argv[1:]
shell, terminal = pty.fork()
if shell == 0:
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
os.write(terminal, f"{command}\n".encode())
deadline = time.monotonic() + 60
while not os.path.exists(file):
    if time.monotonic() > deadline:
        sys.exit(f"{file} is not there: {os.read(terminal, 10000).decode()}")
    time.sleep(0.02)
os.close(terminal)
os.waitpid(shell, 0)
