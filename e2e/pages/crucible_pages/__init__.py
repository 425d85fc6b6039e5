"""A browser that looks at pages, and the world that it looks at."""
