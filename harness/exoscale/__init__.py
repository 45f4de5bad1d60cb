"""The client of Exoscale's Dedicated Inference API."""
