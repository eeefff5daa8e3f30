"""Who is compared with whom, from which day. Nothing here sees an outcome."""
