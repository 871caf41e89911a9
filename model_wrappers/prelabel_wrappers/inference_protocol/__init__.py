"""Models behind a server of the Open Inference Protocol v2: Triton, KServe, MLServer and others."""
