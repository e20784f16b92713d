def tripled(x):
    return x * 3
