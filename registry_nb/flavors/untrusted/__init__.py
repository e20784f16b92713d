"""Files of others: what is in them, and whether they load where they can do no harm."""
