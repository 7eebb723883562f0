package layertest
