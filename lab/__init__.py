"""What judges the two styles: places orders, watches, measures, compares."""
