"""`python -m firmware_bridge.vectors`: write the vectors anew."""

from firmware_bridge.vectors import write

for path in write():
    print(path)
