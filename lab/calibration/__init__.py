"""How right the advisor is: the arm that its predictions are made from, and those beside measured effects."""
