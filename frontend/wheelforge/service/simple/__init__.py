"""An index that pip and uv point at: upstream's pages, with the wheels that are built for them."""
