"""Every figure that this project promises, measured beside what it is compared with: ``python -m tests.bench``.

Speed is never a test: a busy machine would make it fail. What is judged are ratios of things measured alternately, in
one run, on one disk, so that a slow minute slows both sides.
"""
