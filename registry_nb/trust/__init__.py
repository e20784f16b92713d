"""Who made these bytes: keys, seals, trusted registries."""

from registry_nb.trust.seals import Origin as Origin  # pickles of the first edition name it here
