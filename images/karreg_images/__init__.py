"""What images/build is made of: the image store, what goes into it, and what people ask of it."""
