"""The panel under the cell: a widget, its actions and its front end."""
