"""What a conversation is made of, from the ground up: each module adds to the class of the one before."""
