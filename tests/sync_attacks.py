"""Every attack on a cart that is made by what it is served or by its clock."""

from attack_scene import Attack
from attacks_on_files import BROKEN, BY_ROLE, FILES, LISTS
from attacks_on_keys import ON_KEYS
from attacks_on_time import OLD_AS_NEW

ATTACKS: list[Attack] = [*ON_KEYS, *OLD_AS_NEW, *BROKEN, *BY_ROLE, *LISTS, *FILES]
