"""Events leave the registry: to addresses and commands that subscribed."""
