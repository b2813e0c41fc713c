"""Depth for others to use: TIFF with scale, picture with legend, point cloud, mesh, and a report of what is not sharp anywhere."""
