"""Turn segments into the bytes of each direction in order, or gaps."""
