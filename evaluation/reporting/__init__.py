"""What the steering group reads: disclosure, tables, figures, sentences, the report."""
