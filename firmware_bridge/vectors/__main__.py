"""`python -m firmware_bridge.vectors`: write the vectors anew."""

from firmware_bridge.vectors import write

if __name__ == "__main__":
    for path in write():
        print(path)
