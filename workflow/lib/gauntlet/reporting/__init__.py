"""What readers see: tables, figures and the texts in them."""
