"""Write the 32-bit words of one stream to standard output without end, for any battery that reads a pipe.

python tools/quality/keystream.py [SEED [STREAM]] | dieharder -a -g 200
"""

from __future__ import annotations

import sys

import seedbed as sb

WORDS = 2**20
"""Words of one write."""


def main(seed: int = 0, stream: int = 0) -> None:
    start = 0
    try:
        while True:
            words = sb.random_words(seed, WORDS, stream, start)
            sys.stdout.buffer.write(words.astype("<u4", copy=False).data)
            start += WORDS
    except BrokenPipeError:  # the reader is done
        sys.stderr.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
