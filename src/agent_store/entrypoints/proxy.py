"""placeholder until the real one lands"""
from __future__ import annotations
class FaultProxy:
    def __init__(self,*a): raise NotImplementedError
