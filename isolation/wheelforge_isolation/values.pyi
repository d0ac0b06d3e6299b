from dataclasses import Field, asdict, field, replace
from typing import Any, ClassVar, dataclass_transform

__all__ = ["State", "Value", "asdict", "field", "replace"]

@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Value:
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class State:
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
