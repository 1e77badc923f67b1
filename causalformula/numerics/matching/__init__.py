"""Who is matched with whom: greedy matching on a number and in several dimensions, coarsening, matched sets."""
