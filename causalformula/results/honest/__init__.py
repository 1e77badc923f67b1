"""What trends that are not parallel could make of an effect: the verb, its page and its picture."""
