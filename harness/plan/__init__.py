"""From a sweep file to the cells it asks for."""
