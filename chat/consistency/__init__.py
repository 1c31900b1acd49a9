"""Would it say the same if asked differently? Other wordings, their answers lined up, and a measure.

`rewording` makes wordings by rule and says what one must keep; `proposing` asks the model for some; `asking` sends
them; `facts` finds what is compared exactly; `alignment` lines statements up; `measuring` stores what came out.
"""
