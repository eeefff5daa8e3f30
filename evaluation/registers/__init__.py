"""What is delivered: data sources and the schemas they must keep."""
