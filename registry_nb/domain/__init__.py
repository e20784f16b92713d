"""What a registry keeps, and the rules about it: records, events, the lifecycle, names, URIs, filters."""
