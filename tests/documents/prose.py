"""What the test documents say: a few true paragraphs, in the languages whose encodings are tested."""

ENGLISH = [
    "A lighthouse keeper's day began at dusk. He trimmed the wick, wound the clockwork that turned the lens, and wrote "
    "the weather into a log that nobody would read unless a ship was lost. The light itself was small, no brighter than "
    "a good kitchen lamp; it was the glass around it that carried it twenty miles out to sea.",
    "Augustin Fresnel found that a lens need not be thick. Cut away the inside of the glass, keep the curved face in "
    "rings, and the rays still bend as they did before. A lens of the first order stood taller than a man and weighed "
    "three tons. One of plain glass would have weighed thirty, and would have swallowed half of the light on its way.",
    "The tide tables were kept beside the log. They were computed by machines of brass, pulleys and wire, in which each "
    "wheel stood for one motion of the moon or the sun. A clerk turned the handle and read the height of the water for "
    "every hour of the coming year. The machines were retired only when electronic computers became cheap.",
    "Fog was the enemy. Light is lost in it within a few hundred yards, so the stations were given bells, then guns, "
    "then horns driven by steam. Sound bends in cold air and leaves silent places on the water; more than one captain "
    "ran aground within a mile of a horn that he swore had not been blown.",
    "Most lights were automated between 1960 and 1990. A bulb the size of a thumb, a changer that turns a spare into "
    "place, a battery and a panel of solar cells do what three families did. The lenses went to museums, where they throw "
    "rainbows over the walls when the sun is low.",
]

GERMAN = (
    "Der Leuchtturm auf der Düne überragt die Dächer des Dorfes. Früher kämpfte der Wärter jede Nacht gegen den Nebel, "
    "heute genügt ein Schalter. Für die Gäste öffnet er täglich; die schönste Aussicht hat man kurz vor der Dämmerung."
)

FRENCH = (
    "Le phare fut allumé pour la première fois à l'été 1854. Son gardien, déjà âgé, y vécut près de trente années sans "
    "jamais être relevé plus d'une semaine. « La lumière est à tout le monde », disait‑il à ceux qui s'étonnaient."
).replace("\u2011", "-")

RUSSIAN = (
    "Маяк стоит на краю мыса. Зимой к нему нельзя подойти ни с моря, ни с берега, и смотритель живёт один. "
    "Каждый вечер он поднимается по двумстам ступеням и зажигает огонь, который видно за двадцать миль."
)

JAPANESE = (
    "灯台は岬の先に立っている。冬になると海からも陸からも近づくことができず、灯台守は一人で暮らしている。"
    "毎晩二百段の階段を上り、二十海里先からも見える灯をともす。霧の深い夜には鐘を鳴らした。"
)

CHINESE = "灯塔建在海角的尽头。每天傍晚，守塔人沿着两百级台阶登上塔顶，点亮二十海里外也能看见的灯光。"
