"""Who made these bytes: keys, seals, trusted registries."""
