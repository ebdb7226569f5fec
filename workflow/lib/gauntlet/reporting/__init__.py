"""What people read: tables, figures and the words in them."""
