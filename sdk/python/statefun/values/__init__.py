"""Values: what classes become of bytes, and what carries them."""
