"""Register one model again and again: ``python register_often.py FOLDER HOW_MANY`` prints the numbers that it got."""

import json
import sys

import processes

import registry_nb as rn


def main(folder, how_many):
    registry = rn.Registry(folder)
    print(json.dumps([registry.register(processes.constant(7), processes.NAME).version for _ in range(how_many)]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
